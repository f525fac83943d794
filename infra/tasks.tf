# Timers: delayed resumes, the time limits of approvals, webhooks.

resource "google_cloud_tasks_queue" "timers" {
  name     = "${var.name}-timers"
  location = var.region

  rate_limits {
    max_dispatches_per_second = var.timers_per_second
    max_concurrent_dispatches = 100
  }

  retry_config {
    max_attempts       = -1 # until its time is up, and then the sweep finds what is overdue
    max_retry_duration = "86400s"
    min_backoff        = "1s"
    max_backoff        = "60s"
    max_doublings      = 6
  }

  stackdriver_logging_config {
    sampling_ratio = 0.01
  }

  depends_on = [google_project_service.service]
}
