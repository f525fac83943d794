# A backstop: it wakes what is overdue. A healthy deployment has nothing for it to do.

resource "google_cloud_scheduler_job" "sweep" {
  name             = "${var.name}-sweep"
  region           = var.region
  schedule         = var.sweep_schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  retry_config {
    retry_count = 0 # the next one comes soon enough
  }

  http_target {
    uri         = local.urls.sweep
    http_method = "POST"
    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.urls.sweep
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}
