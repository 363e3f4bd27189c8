//! What JavaScript says of a call beside its header.

use std::time::Duration;

use napi_derive::napi;
use volley_core::store;

/// What a door says of a call beside its header; all fields may be absent.
#[napi(object)]
#[derive(Default)]
pub struct CallContext {
    /// Who calls, as the door has found out; absent = this process.
    pub caller: Option<String>,
    /// The batch's name in progress reports.
    pub batch_id: Option<String>,
    /// How long the call may take, in milliseconds.
    pub deadline_ms: Option<f64>,
    /// Most operations or queries.
    pub max_batch_size: Option<u32>,
    /// Answer `OVERLOADED` instead of waiting for memory.
    pub refuse_overload: Option<bool>,
    /// The number of a reservation that this call uses up.
    pub reservation: Option<f64>,
}

impl CallContext {
    /// The same for the engine.
    pub fn into_engine(self) -> store::CallContext {
        let deadline = self.deadline_ms.map(|ms| {
            // What is longer than the clock goes is no deadline to be kept.
            Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or(Duration::MAX)
        });
        store::CallContext {
            caller: self.caller.unwrap_or_default(),
            batch_id: self.batch_id,
            deadline,
            max_batch_size: self.max_batch_size.map(|count| count as usize),
            refuse_overload: self.refuse_overload.unwrap_or_default(),
            reservation: self.reservation.map(|number| number as u64),
        }
    }
}
