# An account for each function, one that calls them, and one that builds them. None has a role that a basic one gives.

resource "google_service_account" "function" {
  for_each     = local.functions
  account_id   = "${var.name}-${each.key}"
  display_name = "Onward: ${each.key} ${each.value.does}"
  depends_on   = [google_project_service.service]
}

resource "google_service_account" "caller" {
  account_id   = "${var.name}-caller"
  display_name = "Onward: in whose name Pub/Sub, Cloud Tasks and Cloud Scheduler call the functions"
  depends_on   = [google_project_service.service]
}

resource "google_service_account" "build" {
  account_id   = "${var.name}-build"
  display_name = "Onward: builds the functions"
  depends_on   = [google_project_service.service]
}

locals {
  # They decide nothing, whatever the table of roles says. Named by what they are made of, as an account's address is
  # not known before it is there.
  own_accounts = [
    for name in concat(keys(local.functions), ["caller"]) :
    "${var.name}-${name}@${var.project_id}.iam.gserviceaccount.com"
  ]

  # Which functions perform effects: only these get what the agents need.
  performs = { advance = true, resume = true, sweep = false, api = false }
}
