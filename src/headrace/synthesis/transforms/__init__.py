"""Transform primitives: functions of values of one row. One file a family; `primitives.catalogue` lists them."""
