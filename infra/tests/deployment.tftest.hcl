# What a whole deployment is, without a project: the provider is played.

mock_provider "google" {
  override_during = plan

  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }

  mock_resource "google_project_iam_custom_role" {
    defaults = { id = "projects/shop-project-1/roles/custom" }
  }

  override_resource {
    target = google_service_account.function["advance"]
    values = {
      id     = "projects/shop-project-1/serviceAccounts/onward-advance@shop-project-1.iam.gserviceaccount.com"
      name   = "projects/shop-project-1/serviceAccounts/onward-advance@shop-project-1.iam.gserviceaccount.com"
      email  = "onward-advance@shop-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:onward-advance@shop-project-1.iam.gserviceaccount.com"
    }
  }

  override_resource {
    target = google_service_account.function["resume"]
    values = {
      id     = "projects/shop-project-1/serviceAccounts/onward-resume@shop-project-1.iam.gserviceaccount.com"
      name   = "projects/shop-project-1/serviceAccounts/onward-resume@shop-project-1.iam.gserviceaccount.com"
      email  = "onward-resume@shop-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:onward-resume@shop-project-1.iam.gserviceaccount.com"
    }
  }

  override_resource {
    target = google_service_account.function["sweep"]
    values = {
      id     = "projects/shop-project-1/serviceAccounts/onward-sweep@shop-project-1.iam.gserviceaccount.com"
      name   = "projects/shop-project-1/serviceAccounts/onward-sweep@shop-project-1.iam.gserviceaccount.com"
      email  = "onward-sweep@shop-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:onward-sweep@shop-project-1.iam.gserviceaccount.com"
    }
  }

  override_resource {
    target = google_service_account.function["api"]
    values = {
      id     = "projects/shop-project-1/serviceAccounts/onward-api@shop-project-1.iam.gserviceaccount.com"
      name   = "projects/shop-project-1/serviceAccounts/onward-api@shop-project-1.iam.gserviceaccount.com"
      email  = "onward-api@shop-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:onward-api@shop-project-1.iam.gserviceaccount.com"
    }
  }

  override_resource {
    target = google_service_account.caller
    values = {
      id     = "projects/shop-project-1/serviceAccounts/onward-caller@shop-project-1.iam.gserviceaccount.com"
      name   = "projects/shop-project-1/serviceAccounts/onward-caller@shop-project-1.iam.gserviceaccount.com"
      email  = "onward-caller@shop-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:onward-caller@shop-project-1.iam.gserviceaccount.com"
    }
  }

  override_resource {
    target = google_service_account.build
    values = {
      id     = "projects/shop-project-1/serviceAccounts/onward-build@shop-project-1.iam.gserviceaccount.com"
      name   = "projects/shop-project-1/serviceAccounts/onward-build@shop-project-1.iam.gserviceaccount.com"
      email  = "onward-build@shop-project-1.iam.gserviceaccount.com"
      member = "serviceAccount:onward-build@shop-project-1.iam.gserviceaccount.com"
    }
  }
}

variables {
  project_id = "shop-project-1"
  region     = "europe-west1"
}

run "a_deployment" {
  command = plan

  variables {
    api_callers = ["domain:shop.example"]
    publishers  = ["serviceAccount:shop@shop-project-1.iam.gserviceaccount.com"]
    secrets     = { GEMINI_API_KEY = "gemini-key" }
  }

  # names
  assert {
    condition     = output.api_url == "https://onward-api-123456789012.europe-west1.run.app"
    error_message = "the API is not where its function will be"
  }
  assert {
    condition     = alltrue([for name, function in google_cloudfunctions2_function.function : function.name == "onward-${name}"])
    error_message = "a function is not named as its address is made"
  }
  assert {
    condition     = google_storage_bucket.sessions.name == "shop-project-1-onward" && google_pubsub_topic.sessions.name == "onward-sessions" && google_pubsub_topic.events.name == "onward-events" && google_cloud_tasks_queue.timers.name == "onward-timers" && google_firestore_database.sessions.name == "onward"
    error_message = "a name is not the one that commands look for by default"
  }

  # times fit together
  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.function :
      tonumber(function.service_config[0].environment_variables.ONWARD_BUDGET) < function.service_config[0].timeout_seconds
      && function.service_config[0].timeout_seconds < google_pubsub_subscription.advance.ack_deadline_seconds
      && tostring(function.service_config[0].timeout_seconds) == function.service_config[0].environment_variables.ONWARD_TIMEOUT
      && tostring(google_pubsub_subscription.advance.ack_deadline_seconds) == function.service_config[0].environment_variables.ONWARD_ACK_DEADLINE
    ])
    error_message = "a step must end before its request does, and that before its message comes again"
  }

  # nothing is public
  assert {
    condition = alltrue([
      for binding in concat(
        values(google_cloud_run_v2_service_iam_member.caller), values(google_cloud_run_v2_service_iam_member.people),
        values(google_pubsub_topic_iam_member.publisher), values(google_pubsub_subscription_iam_member.subscriber),
      ) : !contains(["allUsers", "allAuthenticatedUsers"], binding.member)
    ])
    error_message = "something is public"
  }
  assert {
    condition     = google_storage_bucket.sessions.public_access_prevention == "enforced" && google_storage_bucket.source.public_access_prevention == "enforced"
    error_message = "a bucket could be made public"
  }
  assert {
    condition     = alltrue([for name, function in google_cloudfunctions2_function.function : function.service_config[0].ingress_settings == (name == "api" ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY")])
    error_message = "a function that Google alone calls can be reached from outside"
  }

  # an account for each
  assert {
    condition     = toset([for account in google_service_account.function : account.account_id]) == toset(["onward-advance", "onward-resume", "onward-sweep", "onward-api"])
    error_message = "functions share an account, or have one too many"
  }
  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.caller)) == toset(["advance", "resume", "sweep"]) && keys(google_cloud_run_v2_service_iam_member.people) == ["domain:shop.example"]
    error_message = "the caller may call what it does not, or somebody else may"
  }
  assert {
    condition = alltrue([
      for name in ["advance", "resume", "sweep"] :
      !anytrue([for permission in google_project_iam_custom_role.database[name].permissions : endswith(permission, ".delete")])
      && !anytrue([for permission in local.permissions[name].bucket : endswith(permission, ".delete")])
    ])
    error_message = "what appends must not be able to delete"
  }
  assert {
    condition     = alltrue([for member in google_project_iam_member.database : strcontains(member.condition[0].expression, "/databases/onward")])
    error_message = "a grant is not of this database alone"
  }
  assert {
    condition     = length(google_project_iam_member.model) == 0
    error_message = "a model is granted that nobody asked for"
  }
  assert {
    condition = toset(split(",", google_cloudfunctions2_function.function["api"].service_config[0].environment_variables.ONWARD_OWN_ACCOUNTS)) == toset([
      for name in ["advance", "resume", "sweep", "api", "caller"] : "onward-${name}@shop-project-1.iam.gserviceaccount.com"
    ])
    error_message = "an account of the deployment's own could decide"
  }

  # secrets go only where they are needed
  assert {
    condition     = toset(keys(google_secret_manager_secret_iam_member.agents)) == toset(["advance GEMINI_API_KEY", "resume GEMINI_API_KEY"])
    error_message = "somebody can read the agents' secrets who performs nothing"
  }
  assert {
    condition = alltrue([
      for name, function in google_cloudfunctions2_function.function :
      contains([for each in function.service_config[0].secret_environment_variables : each.key], "GEMINI_API_KEY") == contains(["advance", "resume"], name)
    ])
    error_message = "a secret is not where it is needed, or is where it is not"
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.function : !contains(keys(function.service_config[0].environment_variables), "ONWARD_SECRET")])
    error_message = "the deployment's secret stands in clear"
  }

  # what is given up arrives
  assert {
    condition     = google_pubsub_subscription.advance.dead_letter_policy[0].max_delivery_attempts == 20 && google_pubsub_subscription.advance.expiration_policy[0].ttl == ""
    error_message = "the subscription gives nothing up, or expires"
  }
  assert {
    condition = (
      google_pubsub_topic_iam_member.gives_up.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
      && google_pubsub_topic_iam_member.gives_up.topic == google_pubsub_topic.dead_letters.name
      && google_pubsub_topic_iam_member.gives_up.role == "roles/pubsub.publisher"
      && google_pubsub_subscription_iam_member.gives_up.subscription == google_pubsub_subscription.advance.name
      && google_pubsub_subscription_iam_member.gives_up.role == "roles/pubsub.subscriber"
    )
    error_message = "Pub/Sub can't move what is given up"
  }
  assert {
    condition     = google_pubsub_subscription.dead_letters.push_config[0].push_endpoint == google_pubsub_subscription.advance.push_config[0].push_endpoint
    error_message = "nobody looks after what is given up"
  }

  # the archive
  assert {
    condition     = alltrue([for name in ["main.py", "requirements.txt", "onward/__init__.py", "onward/wiring.py", "onward/surfaces/console/templates/base.html", "onward/surfaces/console/static/console.js", "agents/refund_desk.py"] : contains(keys(local.source), name)])
    error_message = "something that the functions need is not in the archive"
  }
  assert {
    condition     = !anytrue([for name in keys(local.source) : strcontains(name, "__pycache__") || endswith(name, ".pyc") || startswith(name, "tests/") || startswith(name, "emulators/")])
    error_message = "something is in the archive that does not belong there"
  }
  assert {
    condition     = google_storage_bucket_object.source.name == "source-${data.archive_file.source.output_md5}.zip"
    error_message = "another content would not be deployed"
  }

  # only what is queried is indexed
  assert {
    condition     = length(google_firestore_index.query) == length(jsondecode(file("firestore.indexes.json")).indexes) && length(google_firestore_field.override) == length(jsondecode(file("firestore.indexes.json")).fieldOverrides)
    error_message = "an index that a query needs would be missing"
  }
  assert {
    condition     = [for name, field in google_firestore_field.override : name if length(field.ttl_config) > 0] == ["inbox expires_at"]
    error_message = "absorbed signals would not expire"
  }

  # data is kept from being destroyed
  assert {
    condition     = google_firestore_database.sessions.delete_protection_state == "DELETE_PROTECTION_ENABLED" && !google_storage_bucket.sessions.force_destroy
    error_message = "the log could be destroyed by a mistake"
  }
}

run "two_in_one_project" {
  command = plan

  variables {
    name = "onward-test"
  }

  assert {
    condition = alltrue([
      for name in concat(
        [google_firestore_database.sessions.name, google_cloud_tasks_queue.timers.name, google_cloud_scheduler_job.sweep.name],
        [google_pubsub_topic.sessions.name, google_pubsub_topic.events.name, google_pubsub_topic.dead_letters.name],
        [google_pubsub_subscription.advance.name, google_pubsub_subscription.dead_letters.name, google_pubsub_subscription.events.name],
        [google_secret_manager_secret.own.secret_id, google_artifact_registry_repository.images.repository_id],
        [for function in google_cloudfunctions2_function.function : function.name],
        [for account in google_service_account.function : account.account_id],
        [google_service_account.caller.account_id, google_service_account.build.account_id],
      ) : startswith(name, "onward-test")
    ])
    error_message = "something would have the same name in two deployments"
  }
  assert {
    condition     = alltrue([for role in google_project_iam_custom_role.database : startswith(role.role_id, "onward_test_")])
    error_message = "a role would have the same name in two deployments"
  }
  assert {
    condition     = alltrue([for account in google_service_account.function : length(account.account_id) <= 30])
    error_message = "an account's id is longer than 30 characters"
  }
}

run "the_api_behind_a_proxy" {
  command = plan

  variables {
    iap_audience = "/projects/123456789012/global/backendServices/42"
  }

  assert {
    condition     = google_cloudfunctions2_function.function["api"].service_config[0].ingress_settings == "ALLOW_INTERNAL_AND_GCLB"
    error_message = "the API could be reached past its proxy"
  }
  assert {
    condition     = google_cloudfunctions2_function.function["api"].service_config[0].environment_variables.ONWARD_IAP_AUDIENCE == var.iap_audience
    error_message = "the API would not believe its proxy"
  }
}

run "and_given_up_on_request" {
  command = plan

  variables {
    protect = false
  }

  assert {
    condition     = google_firestore_database.sessions.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_storage_bucket.sessions.force_destroy
    error_message = "a deployment without protection can't be destroyed"
  }
}
