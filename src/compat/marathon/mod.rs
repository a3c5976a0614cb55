//! Marathon: /v2/apps and its family (docs/compat/marathon.md).
