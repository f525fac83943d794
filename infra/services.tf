# What the project must have switched on. Nothing is switched off again: others may use it.

locals {
  services = toset(concat([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtasks.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    ],
    var.vertex ? ["aiplatform.googleapis.com"] : [],
    var.bigquery ? ["bigquery.googleapis.com"] : [],
  ))
}

resource "google_project_service" "service" {
  for_each           = local.services
  service            = each.key
  disable_on_destroy = false
}

data "google_project" "project" { # its number is a part of addresses
  project_id = var.project_id
}
