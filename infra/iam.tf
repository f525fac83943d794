# Who may do what. Each function gets what it calls (permissions.json, recorded from its own requests), on the very
# resource where Google has such a grant. Firestore has none below the project, so there a condition names the database.

locals {
  permissions = jsondecode(file("${path.module}/permissions.json"))

  this_database = "projects/${var.project_id}/databases/${google_firestore_database.sessions.name}"

  # function by function, for what one resource is granted to several
  publishes_wakes  = toset([for name, given in local.permissions : name if contains(given.sessions_topic, "pubsub.topics.publish")])
  publishes_events = toset([for name, given in local.permissions : name if contains(given.events_topic, "pubsub.topics.publish")])
  arms_timers      = toset([for name, given in local.permissions : name if length(given.queue) > 0])
  acts_as_caller   = toset([for name, given in local.permissions : name if length(given.caller) > 0])
  keeps_values     = toset([for name, given in local.permissions : name if length(given.bucket) > 0])
}

# --- the database --------------------------------------------------------------------------------------------------

resource "google_project_iam_custom_role" "database" {
  for_each    = local.permissions
  role_id     = "${replace(var.name, "-", "_")}_${each.key}_database"
  title       = "Onward ${each.key}: database"
  description = "What ${each.key} does in Firestore."
  permissions = each.value.database
  depends_on  = [google_project_service.service]
}

resource "google_project_iam_member" "database" {
  for_each = local.permissions
  project  = var.project_id
  role     = google_project_iam_custom_role.database[each.key].id
  member   = google_service_account.function[each.key].member

  condition {
    title      = "this database"
    expression = "resource.name == \"${local.this_database}\""
  }
}

# --- the bucket ----------------------------------------------------------------------------------------------------

resource "google_project_iam_custom_role" "bucket" {
  for_each    = local.keeps_values
  role_id     = "${replace(var.name, "-", "_")}_${each.key}_bucket"
  title       = "Onward ${each.key}: bucket"
  description = "What ${each.key} does in Cloud Storage."
  permissions = local.permissions[each.key].bucket
  depends_on  = [google_project_service.service]
}

resource "google_storage_bucket_iam_member" "values" {
  for_each = local.keeps_values
  bucket   = google_storage_bucket.sessions.name
  role     = google_project_iam_custom_role.bucket[each.key].id
  member   = google_service_account.function[each.key].member
}

# --- messages ------------------------------------------------------------------------------------------------------

resource "google_pubsub_topic_iam_member" "wakes" {
  for_each = local.publishes_wakes
  topic    = google_pubsub_topic.sessions.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.key].member
}

resource "google_pubsub_topic_iam_member" "events" {
  for_each = local.publishes_events
  topic    = google_pubsub_topic.events.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.key].member
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = toset(var.publishers)
  topic    = google_pubsub_topic.sessions.name
  role     = "roles/pubsub.publisher"
  member   = each.key
}

resource "google_pubsub_subscription_iam_member" "subscriber" {
  for_each     = toset(var.subscribers)
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.subscriber"
  member       = each.key
}

# Pub/Sub itself moves what was given up: it acknowledges it here and publishes it there.
locals {
  pubsub_agent = "serviceAccount:service-${data.google_project.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic_iam_member" "gives_up" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "gives_up" {
  subscription = google_pubsub_subscription.advance.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# --- timers --------------------------------------------------------------------------------------------------------

# Google's own roles for this let tasks and accounts be read as well.
resource "google_project_iam_custom_role" "queue" {
  role_id     = "${replace(var.name, "-", "_")}_queue"
  title       = "Onward: timers"
  description = "What those functions do with the queue that arm timers."
  permissions = distinct(flatten([for name in local.arms_timers : local.permissions[name].queue]))
  depends_on  = [google_project_service.service]
}

resource "google_cloud_tasks_queue_iam_member" "arms" {
  for_each = local.arms_timers
  name     = google_cloud_tasks_queue.timers.name
  location = var.region
  role     = google_project_iam_custom_role.queue.id
  member   = google_service_account.function[each.key].member
}

resource "google_project_iam_custom_role" "caller" {
  role_id     = "${replace(var.name, "-", "_")}_caller"
  title       = "Onward: in the caller's name"
  description = "Having a task delivered in the name of the caller."
  permissions = distinct(flatten([for name in local.acts_as_caller : local.permissions[name].caller]))
  depends_on  = [google_project_service.service]
}

resource "google_service_account_iam_member" "arms_as" {
  for_each           = local.acts_as_caller
  service_account_id = google_service_account.caller.name
  role               = google_project_iam_custom_role.caller.id
  member             = google_service_account.function[each.key].member
}

# --- calling the functions -----------------------------------------------------------------------------------------

resource "google_cloud_run_v2_service_iam_member" "caller" {
  for_each = toset(["advance", "resume", "sweep"])
  name     = google_cloudfunctions2_function.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.caller.member
}

resource "google_cloud_run_v2_service_iam_member" "people" {
  for_each = toset(var.api_callers)
  name     = google_cloudfunctions2_function.function["api"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.key
}

# --- secrets -------------------------------------------------------------------------------------------------------

resource "google_secret_manager_secret_iam_member" "own" {
  for_each  = local.functions
  secret_id = google_secret_manager_secret.own.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.key].member
}

resource "google_secret_manager_secret_iam_member" "agents" {
  for_each = {
    for pair in setproduct([for name, does in local.performs : name if does], keys(var.secrets)) :
    "${pair[0]} ${pair[1]}" => { function = pair[0], secret = var.secrets[pair[1]] }
  }
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}

# --- the model -----------------------------------------------------------------------------------------------------

resource "google_project_iam_member" "model" { # Google has no narrower grant for its own models
  for_each = toset([for name, does in local.performs : name if does && var.vertex])
  project  = var.project_id
  role     = "roles/aiplatform.user"
  member   = google_service_account.function[each.key].member
}

# --- building ------------------------------------------------------------------------------------------------------

resource "google_artifact_registry_repository" "images" {
  repository_id = "${var.name}-functions"
  location      = var.region
  format        = "DOCKER"
  kms_key_name  = var.kms_key

  cleanup_policies {
    id     = "newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.service]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_project_iam_member" "build" { # logs have no narrower grant
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}
