# A sketch for AWS: what the chart in ../helm needs, with managed services. It was formatted and parsed; no provider was
# at hand to validate it, and nothing was ever created with it (infra/README.md).
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.38"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { application = "headrace", environment = var.environment }
  }
}

# Credentials of the cluster are asked for at each call, so that none is in the state.
provider "kubernetes" {
  host                   = aws_eks_cluster.headrace.endpoint
  cluster_ca_certificate = base64decode(aws_eks_cluster.headrace.certificate_authority[0].data)

  exec {
    api_version = "client.authentication.k8s.io/v1beta1"
    command     = "aws"
    args        = ["eks", "get-token", "--cluster-name", aws_eks_cluster.headrace.name, "--region", var.region]
  }
}

provider "helm" {
  kubernetes = {
    host                   = aws_eks_cluster.headrace.endpoint
    cluster_ca_certificate = base64decode(aws_eks_cluster.headrace.certificate_authority[0].data)

    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--cluster-name", aws_eks_cluster.headrace.name, "--region", var.region]
    }
  }
}
