//! Groups whose partition is not led here any more: it was removed, moves to another broker, its
//! disk failed, or the controller has fenced this broker. Their shard goes, and whoever waits in it
//! hears that the coordinator is elsewhere. And waiters who are gone themselves.

use std::sync::Arc;

use crate::groups::{GroupTicket, Home, Place};
use crate::node::Node;

impl Node {
    /// Whoever waits under the ticket is gone.
    pub fn cancel_group_request(&self, now_ms: i64, ticket: &GroupTicket) {
        let Some(home) = self.groups.find(ticket.place) else { return };
        let mut state = home.lock();
        if state.waiting.remove(&ticket.token).is_some() {
            state.shard.cancel(now_ms, &ticket.group, ticket.token);
        }
    }

    /// The leadership of a partition went, or came back: whatever its shard held is void.
    pub(crate) fn leadership_moved(&self, place: Place) {
        if let Some(home) = self.groups.find(place) {
            self.drop_shard(place, &home);
        }
        self.groups.note_arrival();
    }

    /// Drops the shards whose partition this broker does not serve.
    pub(crate) fn drop_lost_shards(&self) {
        for (place, home) in self.groups.all() {
            let served = self.partition(place.0, place.1).is_ok_and(|p| p.check_leading().is_ok());
            if !served {
                self.drop_shard(place, &home);
            }
        }
    }

    fn drop_shard(&self, place: Place, home: &Arc<Home>) {
        self.groups.remove(place, home);
        let waiting = {
            let mut state = home.lock();
            // A request that found the shard before is refused; the next one finds none.
            state.gone = true;
            std::mem::take(&mut state.waiting)
        };
        for waiter in waiting.into_values() {
            if let Some(refusal) = waiter.refusal {
                (waiter.reply)(refusal);
            }
        }
    }
}
