# Values that can't work are refused before anything is made.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project_id = "shop-project-1"
}

run "each_for_itself" {
  command = plan

  variables {
    project_id   = "My Project"
    region       = "europe"
    name         = "onward-in-production"
    labels       = { Team = "Support" }
    kms_key      = "my-key"
    app          = "../other.py"
    ack_deadline = 601
    api_callers  = ["allUsers"]
    secrets      = { GEMINI_API_KEY = "AIza.not-an-id" }
    settings     = { ONWARD_LEASE = "1" }
    cpu          = { advance = "0.5" }
    memory       = { api = "a lot" }
    concurrency  = { api = 0 }
    instances    = { api_min = 6 }
  }

  expect_failures = [
    var.project_id, var.region, var.name, var.labels, var.kms_key, var.app, var.ack_deadline, var.api_callers,
    var.secrets, var.settings, var.cpu, var.memory, var.concurrency, var.instances,
  ]
}

run "a_request_that_outlasts_its_message" {
  command = plan

  variables {
    timeout = 600
  }

  expect_failures = [var.timeout]
}

run "a_lease_longer_than_a_step" {
  command = plan

  variables {
    lease = 541
  }

  expect_failures = [var.lease]
}

run "a_step_that_outlasts_its_request" {
  command = plan

  variables {
    budget = 570
  }

  expect_failures = [var.budget]
}
