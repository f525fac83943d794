# Committed events as rows, for whoever asks. A copy: the log is in Firestore.

resource "google_bigquery_dataset" "events" {
  count                      = var.bigquery ? 1 : 0
  dataset_id                 = replace(var.name, "-", "_")
  location                   = var.region
  delete_contents_on_destroy = !var.protect

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key[*]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_project_service.service]
}

resource "google_bigquery_table" "events" {
  count               = var.bigquery ? 1 : 0
  dataset_id          = google_bigquery_dataset.events[0].dataset_id
  table_id            = "events"
  deletion_protection = var.protect

  time_partitioning {
    type  = "DAY"
    field = "publish_time"
  }

  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "NULLABLE" },
    { name = "message_id", type = "STRING", mode = "NULLABLE" },
    { name = "publish_time", type = "TIMESTAMP", mode = "NULLABLE" },
    { name = "data", type = "STRING", mode = "NULLABLE" },
    { name = "attributes", type = "STRING", mode = "NULLABLE" },
  ])
}

resource "google_bigquery_table_iam_member" "writes" {
  for_each   = var.bigquery ? toset(["roles/bigquery.dataEditor", "roles/bigquery.metadataViewer"]) : []
  dataset_id = google_bigquery_table.events[0].dataset_id
  table_id   = google_bigquery_table.events[0].table_id
  role       = each.key
  member     = local.pubsub_agent
}

resource "google_pubsub_subscription" "bigquery" {
  count                = var.bigquery ? 1 : 0
  name                 = "${var.name}-bigquery"
  topic                = google_pubsub_topic.events.id
  ack_deadline_seconds = 60

  expiration_policy {
    ttl = "" # never
  }

  bigquery_config {
    table          = "${var.project_id}.${google_bigquery_table.events[0].dataset_id}.${google_bigquery_table.events[0].table_id}"
    write_metadata = true
  }

  depends_on = [google_bigquery_table_iam_member.writes]
}
