resource "kubernetes_namespace_v1" "headrace" {
  metadata {
    name = "headrace"
    labels = {
      "pod-security.kubernetes.io/enforce" = "restricted"
    }
  }
}

resource "kubernetes_storage_class_v1" "state" {
  metadata {
    name = "headrace-state"
  }

  storage_provisioner = "efs.csi.aws.com"
  reclaim_policy      = "Retain"

  parameters = {
    provisioningMode = "efs-ap"
    fileSystemId     = aws_efs_file_system.state.id
    directoryPerms   = "700"
    uid              = "10001"
    gid              = "10001"
  }
}

# The secrets that the chart refers to are put into the namespace by whoever keeps them (External Secrets, Sealed
# Secrets): `headrace-database` with the password of aws_db_instance.headrace, `headrace-redis` with the address of Redis,
# `headrace-auth` with the passwords of Prefect and MLflow. The databases are made beforehand
# (infra/docker/databases.sql).
resource "helm_release" "headrace" {
  name      = "headrace"
  namespace = kubernetes_namespace_v1.headrace.metadata[0].name
  chart     = "${path.module}/../helm/headrace"
  atomic    = true
  timeout   = 900

  values = [yamlencode({
    image   = var.image
    problem = { path = "/problem/problem.py", configMap = var.problem_config_map }
    state   = { storageClass = kubernetes_storage_class_v1.state.metadata[0].name }
    database = {
      host    = aws_db_instance.headrace.address
      port    = aws_db_instance.headrace.port
      user    = aws_db_instance.headrace.username
      sslMode = "require"
    }
    redis     = { urlSecret = { name = "headrace-redis", key = "url" } }
    artifacts = { destination = "s3://${aws_s3_bucket.artifacts.id}/artifacts" }
    lake      = { address = "s3://${aws_s3_bucket.artifacts.id}/lake" }
    ingress = {
      enabled   = var.api_host != ""
      host      = var.api_host
      tlsSecret = var.api_tls_secret
    }
    api = { allowedHosts = var.api_host == "" ? [] : [var.api_host] }
  })]

  depends_on = [aws_eks_addon.headrace, aws_efs_mount_target.state, aws_eks_pod_identity_association.headrace]
}
