//! Admin router and the small DC/OS services behind it (docs/compat/dcos.md).
