# PostgreSQL: Prefect, MLflow, and Headrace's ledger, outbox and prediction log. Its password is made and rotated by AWS
# (Secrets Manager), so it is in no file and not in Terraform's state.
resource "aws_db_subnet_group" "headrace" {
  name       = local.name
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_db_instance" "headrace" {
  identifier                  = local.name
  engine                      = "postgres"
  engine_version              = "17"
  instance_class              = var.database_class
  allocated_storage           = 50
  max_allocated_storage       = 500
  storage_encrypted           = true
  db_name                     = "headrace"
  username                    = "headrace"
  manage_master_user_password = true
  db_subnet_group_name        = aws_db_subnet_group.headrace.name
  vpc_security_group_ids      = [aws_security_group.data.id]
  multi_az                    = true
  backup_retention_period     = 14
  deletion_protection         = true
  skip_final_snapshot         = false
  final_snapshot_identifier   = "${local.name}-final"
  auto_minor_version_upgrade  = true

  enabled_cloudwatch_logs_exports = ["postgresql"]
}

# Redis: the online store. It is filled again from the lake where it is lost.
resource "aws_elasticache_subnet_group" "headrace" {
  name       = local.name
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_elasticache_replication_group" "headrace" {
  replication_group_id       = local.name
  description                = "Online store of Headrace"
  engine                     = "redis"
  engine_version             = "7.1"
  node_type                  = var.cache_type
  num_cache_clusters         = 2
  automatic_failover_enabled = true
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  subnet_group_name          = aws_elasticache_subnet_group.headrace.name
  security_group_ids         = [aws_security_group.data.id]
}

# S3: MLflow's artifacts, and the lake. No rule may remove objects of the lake.
resource "aws_s3_bucket" "artifacts" {
  bucket_prefix = "${local.name}-"
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

# EFS: the home folder, which API processes and workers of several nodes share.
resource "aws_efs_file_system" "state" {
  encrypted = true

  tags = { Name = local.name }
}

resource "aws_efs_backup_policy" "state" {
  file_system_id = aws_efs_file_system.state.id

  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "state" {
  count           = length(local.zones)
  file_system_id  = aws_efs_file_system.state.id
  subnet_id       = aws_subnet.private[count.index].id
  security_groups = [aws_security_group.data.id]
}
