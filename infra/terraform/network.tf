data "aws_availability_zones" "here" {
  state = "available"
}

locals {
  name  = "headrace-${var.environment}"
  zones = slice(data.aws_availability_zones.here.names, 0, 2)
}

resource "aws_vpc" "headrace" {
  cidr_block           = var.network
  enable_dns_hostnames = true

  tags = { Name = local.name }
}

resource "aws_internet_gateway" "headrace" {
  vpc_id = aws_vpc.headrace.id
}

# Nodes and data stores have no public address; what they ask of the internet leaves by one gateway.
resource "aws_subnet" "private" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.headrace.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.network, 4, count.index)

  tags = { Name = "${local.name}-private-${count.index}", "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_subnet" "public" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.headrace.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.network, 8, 240 + count.index)

  tags = { Name = "${local.name}-public-${count.index}", "kubernetes.io/role/elb" = "1" }
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

resource "aws_nat_gateway" "headrace" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id

  depends_on = [aws_internet_gateway.headrace]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.headrace.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.headrace.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.headrace.id

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.headrace.id
  }
}

resource "aws_route_table_association" "public" {
  count          = length(local.zones)
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count          = length(local.zones)
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

# The data stores are reached from the cluster's nodes and from nowhere else.
resource "aws_security_group" "data" {
  name        = "${local.name}-data"
  description = "PostgreSQL, Redis and the shared volume of Headrace"
  vpc_id      = aws_vpc.headrace.id

  dynamic "ingress" {
    for_each = { postgresql = 5432, redis = 6379, nfs = 2049 }

    content {
      description     = ingress.key
      protocol        = "tcp"
      from_port       = ingress.value
      to_port         = ingress.value
      security_groups = [aws_eks_cluster.headrace.vpc_config[0].cluster_security_group_id]
    }
  }
}
