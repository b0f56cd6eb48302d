"""The functions of `import headrace`: each part of the pipeline alone, on data frames, for notebooks and scripts."""
