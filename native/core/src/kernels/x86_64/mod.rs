//! The kernels of x86-64 processors, one file per instruction set, with the same functions as
//! `scalar`.

pub(super) mod avx2;
pub(super) mod avx512;
