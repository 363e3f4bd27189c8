//! Files in memory.
/// Files in memory, for `:memory:` stores and tests.
#[derive(Debug, Default)]
pub struct MemoryStorage;
