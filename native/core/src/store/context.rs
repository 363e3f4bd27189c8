//! What a door says of a call beside its header: about the caller, not about the batch.

use std::time::Duration;

/// What a door says of a call beside its header; the default is a call from this process.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// Who calls, as the door has found out: idempotency keys, streams and batches are each
    /// caller's own. Empty for callers of this process.
    pub caller: String,
    /// The batch's name in progress reports, 1 to 255 bytes; the engine makes one where it is
    /// absent. By it a call can be cancelled before it has answered.
    pub batch_id: Option<String>,
    /// How long the call may take. A commit that was not begun by then never is.
    pub deadline: Option<Duration>,
    /// Most operations or queries; over it the call is refused: `BATCH_TOO_LARGE`.
    pub max_batch_size: Option<usize>,
    /// Answer `OVERLOADED` where the memory budget is used up, instead of waiting in line.
    pub refuse_overload: bool,
    /// Memory that was reserved for this call before, by `memory.reserve`.
    pub reservation: Option<u64>,
}
