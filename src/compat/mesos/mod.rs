//! Mesos: the /state family of the operator API (docs/compat/mesos.md).
