//! Names: State to DNS records (docs/compat/dns.md).
