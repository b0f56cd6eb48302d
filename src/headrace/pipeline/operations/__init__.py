"""What runs after the main job: a step of production, monitoring, retraining, a release by hand."""
