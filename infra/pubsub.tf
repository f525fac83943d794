# One topic drives sessions, a second carries committed events out, a third takes what was given up.

resource "google_pubsub_topic" "sessions" {
  name                       = "${var.name}-sessions"
  message_retention_duration = "86400s"
  kms_key_name               = var.kms_key
  depends_on                 = [google_project_service.service]
}

resource "google_pubsub_topic" "events" {
  name                       = "${var.name}-events"
  message_retention_duration = "604800s" # whoever subscribes late can seek back a week
  kms_key_name               = var.kms_key
  depends_on                 = [google_project_service.service]
}

resource "google_pubsub_topic" "dead_letters" {
  name         = "${var.name}-dead-letters"
  kms_key_name = var.kms_key
  depends_on   = [google_project_service.service]
}

# --- wakes ---------------------------------------------------------------------------------------------------------

resource "google_pubsub_subscription" "advance" {
  name                       = "${var.name}-advance"
  topic                      = google_pubsub_topic.sessions.id
  ack_deadline_seconds       = var.ack_deadline
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # never
  }

  push_config {
    push_endpoint = local.urls.advance
    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.urls.advance
    }
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 20
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller, google_pubsub_topic_iam_member.gives_up]
}

resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = var.ack_deadline
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # never
  }

  push_config { # each becomes a look at its session ten minutes later
    push_endpoint = local.urls.advance
    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.urls.advance
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}

# --- committed events ----------------------------------------------------------------------------------------------

resource "google_pubsub_subscription" "events" {
  name                       = "${var.name}-events"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # never
  }
}
