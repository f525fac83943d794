# --- where ---------------------------------------------------------------------------------------------------------

variable "project_id" {
  description = "The project that everything is made in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is the id of a project, such as my-project-1; not its name and not its number."
  }
}

variable "region" {
  description = "Where functions, queue, bucket and secrets are."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a single region, such as europe-west1."
  }
}

variable "name" {
  description = "What the names of all that is made begin with; two deployments in one project differ in it."
  type        = string
  default     = "onward"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}[a-z0-9]$", var.name))
    error_message = "name is 3 to 16 small letters, digits and hyphens, such as onward-test."
  }
}

variable "labels" {
  description = "Labels on everything that takes some."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "labels are small letters, digits, underscores and hyphens, such as { team = \"support\" }."
  }
}

variable "kms_key" {
  description = "A key of yours that encrypts database, bucket, topics and secrets: projects/P/locations/L/keyRings/R/cryptoKeys/K. Google's services must be let use it. null: Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

# --- what runs -----------------------------------------------------------------------------------------------------

variable "agents" {
  description = "The folder with your agents; it is copied next to the functions, as agents/."
  type        = string
  default     = "../functions/agents"
}

variable "app" {
  description = "The application in that folder, as ONWARD_APP names it: FILE.py or FILE.py:ATTRIBUTE."
  type        = string
  default     = "refund_desk.py"

  validation {
    condition     = can(regex("^[A-Za-z0-9_/-]+\\.py(:[A-Za-z_][A-Za-z0-9_]*)?$", var.app))
    error_message = "app is a file in the folder of agents and perhaps an attribute in it, such as refund_desk.py:app."
  }
}

variable "requirements" {
  description = "Packages that your agents need besides, as pip takes them."
  type        = list(string)
  default     = []
}

variable "roles" {
  description = "The file with the table of who may do what in API and console; null lets nobody do anything."
  type        = string
  default     = null
}

variable "settings" {
  description = "Environment variables that your agents need, none of them secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : !startswith(name, "ONWARD_") && name != "GOOGLE_CLOUD_PROJECT"])
    error_message = "settings are those of your agents; what begins with ONWARD_ has a variable of its own here."
  }
}

variable "secrets" {
  description = "Secrets that your agents need: the environment variable to the id of a secret in Secret Manager that is there already, such as { GEMINI_API_KEY = \"gemini-key\" }. Their newest version is read when an instance starts."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for secret in values(var.secrets) : can(regex("^[A-Za-z0-9_-]{1,255}$", secret))])
    error_message = "secrets name secrets of this project by their ids; what they hold never stands here."
  }
}

variable "secret_generation" {
  description = "Raise it to have the deployment's own secret made anew: links, forms and tokens of calls that were given out before are void then."
  type        = number
  default     = 1
}

variable "vertex" {
  description = "Whether the agents ask Gemini on Vertex AI, as the account of the functions."
  type        = bool
  default     = false
}

# --- how much ------------------------------------------------------------------------------------------------------

variable "steps_per_wake" {
  description = "Steps that one wake moves: 1 hands each step to whoever is free, more save hops and writes."
  type        = number
  default     = 20

  validation {
    condition     = var.steps_per_wake >= 1 && floor(var.steps_per_wake) == var.steps_per_wake
    error_message = "steps_per_wake is a whole number from 1."
  }
}

variable "budget" {
  description = "Seconds that a step may take."
  type        = number
  default     = 540

  validation {
    condition     = var.budget >= 1 && var.budget < var.timeout
    error_message = "budget must be less than timeout: a step ends before its request does."
  }
}

variable "timeout" {
  description = "Seconds that a request may take."
  type        = number
  default     = 570

  validation {
    condition     = var.timeout < var.ack_deadline
    error_message = "timeout must be less than ack_deadline: a request ends before its message comes again."
  }
}

variable "ack_deadline" {
  description = "Seconds until a message that was not acknowledged comes again."
  type        = number
  default     = 600

  validation {
    condition     = var.ack_deadline >= 10 && var.ack_deadline <= 600
    error_message = "ack_deadline is from 10 to 600 seconds: Pub/Sub waits no longer."
  }
}

variable "lease" {
  description = "Seconds that a lease lasts: how long a session stands still when its instance dies."
  type        = number
  default     = 90

  validation {
    condition     = var.lease >= 15 && var.lease <= var.budget
    error_message = "lease is from 15 seconds up to the budget of a step."
  }
}

variable "concurrency" {
  description = "Requests that one instance takes at a time: sessions that it moves, or readers that it serves."
  type        = object({ advance = optional(number, 40), api = optional(number, 200) })
  default     = {}

  validation {
    condition     = alltrue([for value in [var.concurrency.advance, var.concurrency.api] : value >= 1 && value <= 1000])
    error_message = "concurrency is from 1 to 1000 requests."
  }
}

variable "instances" {
  description = "How many instances there are at least and at most; at least 0 costs nothing at rest."
  type = object({
    advance_min = optional(number, 0), advance_max = optional(number, 20)
    api_min     = optional(number, 0), api_max = optional(number, 5)
  })
  default = {}

  validation {
    condition     = var.instances.advance_min <= var.instances.advance_max && var.instances.api_min <= var.instances.api_max && var.instances.advance_min >= 0 && var.instances.api_min >= 0 && var.instances.advance_max >= 1 && var.instances.api_max >= 1
    error_message = "instances: at least 0, at most 1 or more, and never more at least than at most."
  }
}

variable "memory" {
  description = "Memory of one instance."
  type        = object({ advance = optional(string, "1Gi"), api = optional(string, "1Gi"), other = optional(string, "512Mi") })
  default     = {}

  validation {
    condition     = alltrue([for value in [var.memory.advance, var.memory.api, var.memory.other] : can(regex("^[0-9]+(Mi|Gi)$", value))])
    error_message = "memory is written as 512Mi or 1Gi."
  }
}

variable "cpu" {
  description = "Processors of one instance; more than one request at a time takes a whole one."
  type        = object({ advance = optional(string, "1"), api = optional(string, "1"), other = optional(string, "1") })
  default     = {}

  validation {
    condition     = alltrue([for value in [var.cpu.advance, var.cpu.api, var.cpu.other] : contains(["1", "2", "4", "8"], value)])
    error_message = "cpu is 1, 2, 4 or 8: an instance that takes several requests at a time needs a whole one."
  }
}

variable "timers_per_second" {
  description = "Timers and deliveries that start in a second at the most."
  type        = number
  default     = 100

  validation {
    condition     = var.timers_per_second > 0 && var.timers_per_second <= 500
    error_message = "timers_per_second is up to 500, which is what one queue gives."
  }
}

variable "sweep_schedule" {
  description = "When it is looked for what was left lying, as cron says it."
  type        = string
  default     = "* * * * *"
}

# --- what is kept --------------------------------------------------------------------------------------------------

variable "firestore_location" {
  description = "Where the database is, for good; null: in the region."
  type        = string
  default     = null
}

variable "database" {
  description = "The database's name, if it is not that of the deployment: one that was restored."
  type        = string
  default     = null
}

variable "firestore_edition" {
  description = "STANDARD or ENTERPRISE."
  type        = string
  default     = "STANDARD"

  validation {
    condition     = contains(["STANDARD", "ENTERPRISE"], var.firestore_edition)
    error_message = "firestore_edition is STANDARD or ENTERPRISE."
  }
}

variable "protect" {
  description = "Whether database and bucket are kept from being deleted, by terraform destroy too."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether the database can be read as it was up to seven days ago; that is paid for by size."
  type        = bool
  default     = true
}

variable "retention_days" {
  description = "Days that nothing in the bucket can be deleted or overwritten, by erasing either; 0 for no such time."
  type        = number
  default     = 0

  validation {
    condition     = var.retention_days >= 0 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days is a whole number from 0."
  }
}

variable "log_days" {
  description = "Days that log lines are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.log_days >= 1 && var.log_days <= 3650
    error_message = "log_days is from 1 to 3650."
  }
}

variable "bigquery" {
  description = "Whether committed events are copied into a table of BigQuery too."
  type        = bool
  default     = false
}

# --- who -----------------------------------------------------------------------------------------------------------

variable "api_callers" {
  description = "Who the platform lets reach API and console: members such as user:ann@example.com or domain:example.com. What each of them may do there says the table of roles."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.api_callers : can(regex("^(user|group|domain|serviceAccount):\\S+$", member))])
    error_message = "api_callers are user:, group:, domain: or serviceAccount: members; never allUsers, as the API is private."
  }
}

variable "gcloud_tokens" {
  description = "Whether the API takes the identity tokens that gcloud prints for people, which are meant for gcloud itself."
  type        = bool
  default     = true
}

variable "iap_audience" {
  description = "The audience of Identity-Aware Proxy where API and console stand behind it: /projects/NUMBER/global/backendServices/ID. null: they don't."
  type        = string
  default     = null
}

variable "console_url" {
  description = "Where people open the console, for links in webhooks; null: at the function's own address."
  type        = string
  default     = null
}

variable "publishers" {
  description = "Who may start sessions and tell them something by messages, such as serviceAccount:shop@my-project.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
}

variable "subscribers" {
  description = "Who may read committed events from the subscription that is made for them."
  type        = list(string)
  default     = []
}

# --- watching ------------------------------------------------------------------------------------------------------

variable "alert_channels" {
  description = "Where alerts go: ids of notification channels, projects/P/notificationChannels/N."
  type        = list(string)
  default     = []
}

variable "attention_hours" {
  description = "A session may need attention for so many hours before somebody is told."
  type        = number
  default     = 4

  validation {
    condition     = var.attention_hours >= 1
    error_message = "attention_hours is at least 1."
  }
}
