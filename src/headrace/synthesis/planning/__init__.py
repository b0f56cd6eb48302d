"""From definitions to a plan: checked, then grouped by table, key and clock."""
