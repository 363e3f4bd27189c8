//! The writer's side of atomic streams: parts, their one commit, their end without one.

use super::super::apply::Applier;
use super::super::kept::Kept;
use super::super::queue::Terms;
use super::super::recovery;
use super::super::stages::{Overlay, StagedBatch};
use super::{Writer, encode, stopped};
use crate::batch::{Checked, Level, Row, WriteReply, WriteRequest, plan};
use crate::error::{Error, ErrorCode, Result};
use crate::filter::FilterChanges;

impl Writer {
    /// Plans a part of a stream on what the parts before it leave, and writes its rows where
    /// nobody sees them. Nothing waits for the disk: the commit does.
    pub(super) fn append_part(
        &mut self,
        number: u64,
        request: &WriteRequest,
        checked: &mut Checked,
        terms: &Terms,
    ) -> Result<WriteReply> {
        let mut staged = self.stages.remove(&number).unwrap_or_default();
        let result = self.stage(&mut staged, request, checked, terms);
        // A part that is missing leaves a gap: the stream cannot commit any more.
        staged.failed |= result.is_err();
        self.stages.insert(number, staged);
        result
    }

    fn stage(
        &mut self,
        staged: &mut StagedBatch,
        request: &WriteRequest,
        checked: &mut Checked,
        terms: &Terms,
    ) -> Result<WriteReply> {
        if !terms.gate.pass() {
            return Err(stopped());
        }
        staged.refuse_repeated(request, checked);
        let files = self.log.files().clone();
        let overlay = Overlay {
            snapshot: &self.state,
            staged,
            files: &files,
        };
        let plan = plan(request, checked, &overlay);
        let rows: Vec<Row<'_>> = plan
            .actions
            .iter()
            .map(|action| action.row(request, checked))
            .collect::<Result<_>>()?;
        let mut locations = Vec::new();
        if !rows.is_empty() {
            let batch = encode(&mut self.log, &rows, &Kept::default())?;
            let appended = self.log.append_stage(&mut staged.frames, batch);
            self.note_append(&appended);
            locations = appended?;
        }
        staged.add(request, &plan, locations, &self.state);
        Ok(WriteReply {
            outcomes: plan.outcomes,
            sequence: self.state.sequence,
            reached: Level::Received,
            replayed: false,
            batch_id: terms.batch_id.clone(),
        })
    }

    /// Makes all parts of a stream visible at once, or drops them.
    pub(super) fn commit_stage(&mut self, number: u64, terms: &Terms) -> Result<WriteReply> {
        let staged = self.stages.remove(&number).unwrap_or_default();
        let checked = self.check_stage(&staged, terms);
        if let Err(error) = checked {
            self.log.drop_stage(staged.frames)?;
            return Err(error);
        }
        let mut reply = WriteReply {
            outcomes: Vec::new(),
            sequence: self.state.sequence,
            reached: Level::Applied,
            replayed: false,
            batch_id: terms.batch_id.clone(),
        };
        if staged.rows.is_empty() {
            return Ok(reply);
        }
        let sequence = self.state.sequence + 1;
        let batch = encode(&mut self.log, &[], &Kept::default())?;
        let appended = self.log.commit_stage(staged.frames, sequence, batch);
        self.unsynced = true;
        self.note_append(&appended);
        appended?;
        self.state.files = self.log.files().clone();
        if self.state.slots.is_empty() {
            recovery::bound_length(&self.state, &self.shared.graph, &staged.rows)?;
        }
        let mut applier = Applier {
            state: &mut self.state,
            allocator: &mut self.allocator,
            graph: &self.shared.graph,
            sequence,
            filters: FilterChanges::default(),
        };
        for rows in staged.rows.chunks(recovery::REPLAYED_ROWS) {
            for location in rows {
                if let Err(error) = recovery::replay(&mut applier, *location) {
                    // The rows were read before the commit, so this is a disk that fails now. The
                    // commit stands in the log; only opening the store again can show it.
                    self.shared.queue.fail();
                    return Err(error);
                }
            }
            applier.finish();
        }
        self.state.sequence = sequence;
        self.state.position = self.log.position();
        reply.sequence = sequence;
        Ok(reply)
    }

    /// Gives a stream up.
    pub(super) fn drop_stage(&mut self, number: u64, terms: &Terms) -> Result<WriteReply> {
        let staged = self.stages.remove(&number).unwrap_or_default();
        self.log.drop_stage(staged.frames)?;
        Ok(WriteReply {
            outcomes: Vec::new(),
            sequence: self.state.sequence,
            reached: Level::Received,
            replayed: false,
            batch_id: terms.batch_id.clone(),
        })
    }

    fn check_stage(&self, staged: &StagedBatch, terms: &Terms) -> Result<()> {
        if staged.failed {
            let message = "an operation of the stream has failed, so nothing of it is applied";
            return Err(Error::new(ErrorCode::BatchAborted, message));
        }
        staged.check(&self.state, self.log.files())?;
        // Not every row takes a slot, but none takes two.
        self.allocator.check_room(staged.rows.len())?;
        if terms.gate.pass() {
            Ok(())
        } else {
            Err(stopped())
        }
    }

    /// After a failed append the group must meet the failure, also where it has committed nothing.
    fn note_append<T>(&mut self, appended: &Result<T>) {
        self.lost |= appended.is_err();
        self.unsynced |= appended.is_err();
    }
}
