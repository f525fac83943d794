output "api_url" {
  description = "Where API and console are."
  value       = local.urls.api
}

output "sessions_topic" {
  description = "Messages on it start sessions and tell them something."
  value       = google_pubsub_topic.sessions.id
}

output "events_topic" {
  description = "Every committed event is published here."
  value       = google_pubsub_topic.events.id
}

output "events_subscription" {
  description = "The subscription from which committed events are read."
  value       = google_pubsub_subscription.events.id
}

output "settings" {
  description = "What commands need to be told: source it, and onward list shows the sessions of this deployment."
  value       = <<-EOT
    export ONWARD_PROJECT=${var.project_id}
    export ONWARD_DATABASE=${google_firestore_database.sessions.name}
    export ONWARD_BUCKET=${google_storage_bucket.sessions.name}
    export ONWARD_SESSIONS_TOPIC=${google_pubsub_topic.sessions.name}
    export ONWARD_EVENTS_TOPIC=${google_pubsub_topic.events.name}
    export ONWARD_LEASE=${var.lease}
    export ONWARD_API_URL=${local.urls.api}
  EOT
}

output "start_by_message" {
  description = "Starts a session by a message."
  value       = <<-EOT
    gcloud pubsub topics publish ${google_pubsub_topic.sessions.id} --message='{"version": 1, "session": "order-1", "kind": "start", "body": {"program": "refund-desk", "input": "My grinder came broken."}}'
  EOT
}

output "start_by_api" {
  description = "Starts a session through the API, in your name."
  value       = <<-EOT
    curl -s ${local.urls.api}/v1/sessions -H "Authorization: Bearer $(gcloud auth print-identity-token)" -H "Content-Type: application/json" -d '{"id": "order-1", "program": "refund-desk", "input": "My grinder came broken."}'
  EOT
}

output "follow" {
  description = "Follows a session live; and the second, committed events of all sessions."
  value       = <<-EOT
    curl -sN ${local.urls.api}/v1/sessions/order-1/events -H "Authorization: Bearer $(gcloud auth print-identity-token)" -H "Accept: text/event-stream"
    gcloud pubsub subscriptions pull ${google_pubsub_subscription.events.id} --limit=10 --auto-ack
  EOT
}
