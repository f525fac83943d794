# The deployment's own secret signs links, forms and the tokens of calls that are completed from outside. It is made on
# the way to Secret Manager and kept nowhere else: not in the state, not in a plan, not in a variable.

resource "google_secret_manager_secret" "own" {
  secret_id = "${var.name}-secret"

  replication {
    user_managed {
      replicas {
        location = var.region
        dynamic "customer_managed_encryption" {
          for_each = var.kms_key[*]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.service]
}

resource "google_secret_manager_secret_version" "own" {
  secret                 = google_secret_manager_secret.own.id
  secret_data_wo         = "${uuid()}${uuid()}" # 244 random bits, from the operating system
  secret_data_wo_version = var.secret_generation
}
