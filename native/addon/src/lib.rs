//! Volley's door to Node.js: bytes in, bytes out.
