# One archive for all functions: the entry points, the library, the agents. The same content is the same archive, and
# nothing is built anew for it.

locals {
  library = fileset("${path.module}/../shared/onward", "**/*.{py,html,css,js,svg}")
  agents  = fileset(var.agents, "**")

  requirements = join("\n", concat([trimspace(file("${path.module}/../functions/requirements.txt"))], var.requirements, [""]))

  source = merge(
    { "main.py" = file("${path.module}/../functions/main.py"), "requirements.txt" = local.requirements },
    { for name in local.library : "onward/${name}" => file("${path.module}/../shared/onward/${name}") },
    { for name in local.agents : "agents/${name}" => file("${var.agents}/${name}") if !can(regex("(^|/)(__pycache__|\\.|demo)", name)) },
    var.roles == null ? {} : { "roles${local.roles_suffix}" = file(var.roles) },
  )

  roles_suffix = var.roles == null ? "" : endswith(var.roles, ".json") ? ".json" : ".toml"
}

data "archive_file" "source" {
  type             = "zip"
  output_path      = "${path.module}/.build/${var.name}-source.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.source
    content {
      filename = source.key
      content  = source.value
    }
  }
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "source-${data.archive_file.source.output_md5}.zip"
  source = data.archive_file.source.output_path
}
