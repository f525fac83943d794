# Log lines in a bucket of their own, kept as long as is asked for, and counted into metrics. What a line says is in the
# table of docs/cloud.md.

locals {
  our_lines = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^${var.name}-(${join("|", keys(local.functions))})$\""
  kinds     = ["input", "approval", "timer", "child", "external", "operator", "needs_attention", "paused", "scheduled"]
  parts     = ["claim", "load", "decide", "perform", "append", "publish"]

  # what is counted: its filter, and the fields by which it is told apart
  counted = {
    steps        = { filter = "jsonPayload.action=\"step\"", labels = ["outcome", "program"] }
    healed       = { filter = "jsonPayload.action=\"healed\"", labels = [] }
    dead_letters = { filter = "jsonPayload.action=\"dead_letter\"", labels = [] }
    parked       = { filter = "jsonPayload.action=\"parked\"", labels = ["code", "program"] }
    refused      = { filter = "jsonPayload.action=\"refused\"", labels = ["code"] }
    failures     = { filter = "jsonPayload.action=\"failed\"", labels = [] }
  }

  # what is measured: the lines that say it, and the field in which they do
  measured = merge(
    { for part in local.parts : "${part}_ms" => { filter = "jsonPayload.action=\"step\"", field = "${part}_ms", unit = "ms" } },
    { for kind in local.kinds : "resting_${kind}" => { filter = "jsonPayload.action=\"standing\"", field = "census.${kind}", unit = "1" } },
    {
      step_ms     = { filter = "jsonPayload.action=\"step\"", field = "ms", unit = "ms" }
      tokens      = { filter = "jsonPayload.action=\"step\" AND jsonPayload.tokens>0", field = "tokens", unit = "1" }
      attention_s = { filter = "jsonPayload.action=\"standing\"", field = "attention_s", unit = "s" }
    },
  )
}

resource "google_logging_project_bucket_config" "lines" {
  project        = var.project_id
  location       = var.region
  bucket_id      = "${var.name}-lines"
  retention_days = var.log_days
  depends_on     = [google_project_service.service]
}

resource "google_logging_project_sink" "lines" {
  name                   = "${var.name}-lines"
  destination            = "logging.googleapis.com/projects/${var.project_id}/locations/${var.region}/buckets/${google_logging_project_bucket_config.lines.bucket_id}"
  filter                 = local.our_lines
  unique_writer_identity = true
}

resource "google_logging_project_exclusion" "lines" { # not kept twice
  name   = "${var.name}-lines"
  filter = local.our_lines

  depends_on = [google_logging_project_sink.lines]
}

resource "google_logging_metric" "counted" {
  for_each = local.counted
  name     = "${var.name}/${each.key}"
  filter   = "${local.our_lines} AND ${each.value.filter}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }
  depends_on       = [google_project_service.service]
}

resource "google_logging_metric" "measured" {
  for_each        = local.measured
  name            = "${var.name}/${each.key}"
  filter          = "${local.our_lines} AND ${each.value.filter}"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 64
      growth_factor      = 1.4
      scale              = 1
    }
  }

  depends_on = [google_project_service.service]
}
