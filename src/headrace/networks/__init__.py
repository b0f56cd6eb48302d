"""Neural networks for tables: model families, and the search for architectures of tables and small images.

architectures  spaces of architectures as data: slots, options, cost in parameters and FLOPs
strategies     search strategies: space + budget + random numbers -> the best genotype
benchmark      evaluations of genotypes, journalled, stored small and replayed

These need no PyTorch. Every other sub-room imports it inside its functions; without it, they raise an UnavailableError
that names the extra `neural`.
"""
