output "cluster" {
  description = "Name of the cluster, for `aws eks update-kubeconfig --name`."
  value       = aws_eks_cluster.headrace.name
}

output "artifacts" {
  description = "Bucket of MLflow's artifacts."
  value       = aws_s3_bucket.artifacts.id
}

output "database_password_secret" {
  description = "Secret of AWS Secrets Manager with the password of PostgreSQL."
  value       = aws_db_instance.headrace.master_user_secret[0].secret_arn
}

output "redis" {
  description = "Address of Redis, for the secret headrace-redis."
  value       = "rediss://${aws_elasticache_replication_group.headrace.primary_endpoint_address}:6379/0"
}
