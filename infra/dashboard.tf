# One page on which an operator sees how the deployment is.

locals {
  run      = "resource.type=\"cloud_run_revision\""
  counter  = { for name in keys(local.counted) : name => "${local.run} AND metric.type=\"${local.logged}/${name}\"" }
  measures = { for name in keys(local.measured) : name => "${local.run} AND metric.type=\"${local.logged}/${name}\"" }

  charts = [
    {
      title = "Steps a second, by what came of them"
      lines = [{ filter = local.counter.steps, aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.outcome"], name = "" }]
    },
    {
      title = "Milliseconds of a step's parts, median"
      lines = [for part in local.parts : { filter = local.measures["${part}_ms"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = [], name = part }]
    },
    {
      title = "Sessions at rest, by what they wait for"
      lines = [for kind in local.kinds : { filter = local.measures["resting_${kind}"], aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = [], name = kind }]
    },
    {
      title = "Needs attention, and waits for an operator (in doubt among them)"
      lines = [for kind in ["needs_attention", "operator"] : { filter = local.measures["resting_${kind}"], aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = [], name = kind }]
    },
    {
      title = "Lease conflicts: visits that found a session busy, and leases that were lost"
      lines = [for outcome in ["busy", "lost"] : { filter = "${local.counter.steps} AND metric.label.outcome=\"${outcome}\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = [], name = outcome }]
    },
    {
      title = "What had to be healed, was given up, refused, parked, or failed"
      lines = [for name in ["healed", "dead_letters", "refused", "parked", "failures"] : { filter = local.counter[name], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = [], name = name }]
    },
    {
      title = "Tokens a step, 95th percentile"
      lines = [{ filter = local.measures.tokens, aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = [], name = "" }]
    },
    {
      title = "Instances"
      lines = [{ filter = "${local.run} AND resource.label.service_name=monitoring.regex.full_match(\"${var.name}-.*\") AND metric.type=\"run.googleapis.com/container/instance_count\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = ["resource.label.service_name"], name = "" }]
    },
    {
      title = "Messages that wait for advance"
      lines = [{ filter = "resource.type=\"pubsub_subscription\" AND resource.label.subscription_id=\"${google_pubsub_subscription.advance.name}\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\"", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = [], name = "" }]
    },
    {
      title = "Timers: milliseconds late, 99th percentile"
      lines = [{ filter = "resource.type=\"cloud_tasks_queue\" AND resource.label.queue_id=\"${google_cloud_tasks_queue.timers.name}\" AND metric.type=\"cloudtasks.googleapis.com/queue/task_attempt_delays\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = [], name = "" }]
    },
  ]
}

resource "google_monitoring_dashboard" "page" {
  dashboard_json = jsonencode({
    displayName = "Onward: ${var.name}"
    mosaicLayout = {
      columns = 12
      tiles = [
        for index, chart in local.charts : {
          xPos   = (index % 2) * 6
          yPos   = floor(index / 2) * 4
          width  = 6
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [
                for line in chart.lines : {
                  plotType       = "LINE"
                  legendTemplate = line.name
                  timeSeriesQuery = {
                    timeSeriesFilter = {
                      filter = line.filter
                      aggregation = {
                        alignmentPeriod    = "60s"
                        perSeriesAligner   = line.aligner
                        crossSeriesReducer = line.reducer
                        groupByFields      = line.by
                      }
                    }
                  }
                }
              ]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_logging_metric.counted, google_logging_metric.measured]
}
