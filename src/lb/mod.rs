//! Layer-4 and layer-7 load balancing.
