variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "environment" {
  description = "Name of the environment, such as staging; part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}$", var.environment))
    error_message = "Lower-case letters, digits and dashes, at most sixteen."
  }
}

variable "network" {
  description = "Address range of the private network."
  type        = string
  default     = "10.40.0.0/16"
}

variable "administrators" {
  description = "Address ranges from which the cluster's API may be reached."
  type        = list(string)
}

variable "image" {
  description = "Image of Headrace: its repository and digest (infra/docker/Dockerfile)."
  type        = object({ repository = string, digest = string })
}

variable "problem_config_map" {
  description = "ConfigMap with problem.py, made beforehand."
  type        = string
  default     = "headrace-problem"
}

variable "api_host" {
  description = "Name by which the API is reached; empty: inside the cluster only."
  type        = string
  default     = ""
}

variable "api_tls_secret" {
  description = "Secret with the certificate of api_host."
  type        = string
  default     = ""
}

variable "database_class" {
  description = "Size of PostgreSQL."
  type        = string
  default     = "db.t4g.medium"
}

variable "cache_type" {
  description = "Size of Redis."
  type        = string
  default     = "cache.t4g.small"
}

variable "node_type" {
  description = "Size of the cluster's nodes: searches run there."
  type        = string
  default     = "m7i.xlarge"
}
