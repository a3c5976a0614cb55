//! Names: pre-encoded answers and the servers that send them.
