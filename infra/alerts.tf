# What a person must know. docs/deploy.md says of each what it means and what to do.

locals {
  logged = "logging.googleapis.com/user/${var.name}"

  alerts = {
    dead_letters = {
      title  = "messages are given up"
      says   = "A message failed twenty times. Its session is looked at again ten minutes later; the lines with action=dead_letter name it."
      filter = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.advance.name}\" AND metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\""
      above  = 0, for = "0s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", period = "300s"
    }
    attention = {
      title  = "a session has needed attention for ${var.attention_hours} hours"
      says   = "Nothing moves it but a person: the page /attention of the console, or onward list --attention, shows it and what can be done."
      filter = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logged}/attention_s\""
      above  = var.attention_hours * 3600, for = "0s", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", period = "300s"
    }
    healed = {
      title  = "the sweep heals more than a trickle"
      says   = "Sessions were woken that nobody had looked at in time. Wakes or timers get lost, or nobody takes them: look at the subscription, the queue and the functions' errors."
      filter = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logged}/healed\""
      above  = 20, for = "0s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", period = "900s"
    }
    errors = {
      title  = "functions answer with errors"
      says   = "More than a few requests in five minutes ended in 5xx: the lines of severity ERROR say why. 503 of advance and resume is asked for again by itself."
      filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"${var.name}-(${join("|", keys(local.functions))})\") AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
      above  = 10, for = "300s", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", period = "300s"
    }
    tasks = {
      title  = "timers are late"
      says   = "Timers start more than a minute after they were due: the queue is paused, its rate is too low (timers_per_second), or resume does not answer."
      filter = "resource.type=\"cloud_tasks_queue\" AND resource.labels.queue_id=\"${google_cloud_tasks_queue.timers.name}\" AND metric.type=\"cloudtasks.googleapis.com/queue/task_attempt_delays\""
      above  = 60000, for = "300s", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", period = "300s"
    }
  }
}

resource "google_monitoring_alert_policy" "alert" {
  for_each              = local.alerts
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.alert_channels

  documentation {
    mime_type = "text/markdown"
    content   = each.value.says
  }

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = each.value.for

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  depends_on = [google_logging_metric.counted, google_logging_metric.measured]
}

resource "google_monitoring_alert_policy" "silent" {
  display_name          = "${var.name}: the sweep is silent"
  combiner              = "OR"
  notification_channels = var.alert_channels

  documentation {
    mime_type = "text/markdown"
    content   = "No sweep has ended for fifteen minutes: what gets lost would not be found. Look at the scheduler's job and at the function sweep."
  }

  conditions {
    display_name = "no sweep"

    condition_absent {
      filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logged}/attention_s\""
      duration = "900s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_COUNT"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  depends_on = [google_logging_metric.measured]
}
