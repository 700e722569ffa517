//! Which broker keeps a group, and asking that broker.

use tokio::time::Instant;
use wire::messages::find_coordinator_request::FindCoordinatorRequest;

use crate::client::Client;
use crate::connection::Connection;
use crate::error::Error;

/// The first version that asks for several coordinators at once.
const COORDINATORS_LIST: i16 = 4;

impl Client {
    /// The broker that keeps a group. Its address comes with it.
    ///
    /// # Errors
    /// No broker answers, or none keeps the group for now.
    pub async fn find_coordinator(&self, group: &str, deadline: Instant) -> Result<i32, Error> {
        self.refresh(&[], false, deadline).await?;
        let about = format!("group {group}");
        let connection = self.any(deadline).await?;
        let version = connection.version::<FindCoordinatorRequest>()?;
        let mut request = FindCoordinatorRequest::default();
        if version >= COORDINATORS_LIST {
            request.coordinator_keys = vec![group.to_owned()];
        } else {
            request.key = group.to_owned();
        }
        let pending = connection.start_at(&request, version).await?;
        let response = pending.wait(self.request_deadline(deadline)).await?;
        if version < COORDINATORS_LIST {
            Error::check(response.error_code, response.error_message.as_deref(), about)?;
            return Ok(response.node_id);
        }
        let found = response.coordinators.into_iter().next();
        let found = found.ok_or_else(|| Error::Missing { about: about.clone() })?;
        Error::check(found.error_code, found.error_message.as_deref(), about)?;
        Ok(found.node_id)
    }

    /// Asks the broker that keeps a group, and again while that may help.
    pub(crate) async fn at_coordinator<T>(
        &self,
        group: &str,
        deadline: Instant,
        ask: impl AsyncFn(i32, &Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.retry(&format!("group {group}"), deadline, async || {
            let id = self.find_coordinator(group, deadline).await?;
            let connection = self.broker(id, deadline).await?;
            ask(id, &connection).await
        })
        .await
    }
}
