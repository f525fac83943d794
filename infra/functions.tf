# Four functions from one source. Each address is known before its function is made, as it is made of names alone: so
# they can be told of each other, and of themselves.

locals {
  urls = {
    for name in keys(local.functions) :
    name => "https://${var.name}-${name}-${data.google_project.project.number}.${var.region}.run.app"
  }

  gcloud = "32555940559.apps.googleusercontent.com" # whom a person's token is meant for that gcloud prints

  functions = {
    advance = {
      does        = "moves a session by a step, for a message"
      memory      = var.memory.advance
      cpu         = var.cpu.advance
      concurrency = var.concurrency.advance
      least       = var.instances.advance_min
      most        = var.instances.advance_max
      ingress     = "ALLOW_INTERNAL_ONLY"
    }
    resume = {
      does        = "moves a session by a step, for a timer"
      memory      = var.memory.advance
      cpu         = var.cpu.advance
      concurrency = var.concurrency.advance
      least       = 0
      most        = var.instances.advance_max
      ingress     = "ALLOW_INTERNAL_ONLY"
    }
    sweep = {
      does        = "wakes what is overdue"
      memory      = var.memory.other
      cpu         = var.cpu.other
      concurrency = 1
      least       = 0
      most        = 1
      ingress     = "ALLOW_INTERNAL_ONLY"
    }
    api = {
      does        = "answers programs and people"
      memory      = var.memory.api
      cpu         = var.cpu.api
      concurrency = var.concurrency.api
      least       = var.instances.api_min
      most        = var.instances.api_max
      ingress     = var.iap_audience == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_AND_GCLB"
    }
  }

  environment = merge(var.settings, {
    GOOGLE_CLOUD_PROJECT    = var.project_id
    ONWARD_DATABASE         = google_firestore_database.sessions.name
    ONWARD_BUCKET           = google_storage_bucket.sessions.name
    ONWARD_SESSIONS_TOPIC   = google_pubsub_topic.sessions.name
    ONWARD_EVENTS_TOPIC     = google_pubsub_topic.events.name
    ONWARD_LOCATION         = var.region
    ONWARD_QUEUE            = google_cloud_tasks_queue.timers.name
    ONWARD_RESUME_URL       = local.urls.resume
    ONWARD_SERVICE_ACCOUNT  = google_service_account.caller.email
    ONWARD_OWN_ACCOUNTS     = join(",", local.own_accounts)
    ONWARD_AUDIENCE         = join(",", concat([local.urls.api], var.gcloud_tokens ? [local.gcloud] : []))
    ONWARD_APP              = "agents/${var.app}"
    ONWARD_STEPS_PER_WAKE   = tostring(var.steps_per_wake)
    ONWARD_BUDGET           = tostring(var.budget)
    ONWARD_TIMEOUT          = tostring(var.timeout)
    ONWARD_ACK_DEADLINE     = tostring(var.ack_deadline)
    ONWARD_LEASE            = tostring(var.lease)
    ONWARD_CONSOLE_URL      = coalesce(var.console_url, local.urls.api)
    LOG_EXECUTION_ID        = "false"
    PYTHONDONTWRITEBYTECODE = "1"
    },
    var.roles == null ? {} : { ONWARD_ROLES = "roles${local.roles_suffix}" },
    var.iap_audience == null ? {} : { ONWARD_IAP_AUDIENCE = var.iap_audience },
    var.vertex ? { GOOGLE_GENAI_USE_VERTEXAI = "true", GOOGLE_CLOUD_LOCATION = var.region } : {},
  )
}

resource "google_cloudfunctions2_function" "function" {
  for_each    = local.functions
  name        = "${var.name}-${each.key}"
  location    = var.region
  description = "Onward: ${each.value.does}"

  build_config {
    runtime           = "python312"
    entry_point       = each.key
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    timeout_seconds                  = var.timeout
    available_memory                 = each.value.memory
    available_cpu                    = each.value.cpu
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = each.value.least
    max_instance_count               = each.value.most
    ingress_settings                 = each.value.ingress
    environment_variables            = local.environment

    secret_environment_variables {
      key        = "ONWARD_SECRET"
      project_id = var.project_id
      secret     = google_secret_manager_secret.own.secret_id
      version    = google_secret_manager_secret_version.own.version
    }

    dynamic "secret_environment_variables" {
      for_each = local.performs[each.key] ? var.secrets : {}
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build,
    google_storage_bucket_iam_member.build,
    google_secret_manager_secret_iam_member.own,
    google_secret_manager_secret_iam_member.agents,
  ]
}
