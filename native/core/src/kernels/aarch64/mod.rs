//! The kernels of 64-bit ARM processors, one file per instruction set, with the same functions
//! as `scalar`.

pub(super) mod dotprod;
pub(super) mod neon;
