//! What can go wrong with a request, and how the customer is told.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::order::OrderState;

/// Why a request is not carried out. Its transaction is rolled back, and its events with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    BadCart(&'static str),
    #[error("a product of the order is not sold here")]
    UnknownProduct,
    #[error("product {product_id} is out of stock")]
    OutOfStock { product_id: i32 },
    #[error("there is no order {order_id}")]
    NoSuchOrder { order_id: Uuid },
    #[error("the order is {state} and cannot become {next}")]
    WrongState { state: OrderState, next: OrderState },
    #[error("the shop has a problem of its own")]
    Database(#[from] sqlx::Error),
    #[error("the shop has a problem of its own")]
    Register(#[from] tidings::Error),
}

impl Problem {
    const fn status(&self) -> StatusCode {
        match self {
            Self::BadCart(_) | Self::UnknownProduct => StatusCode::UNPROCESSABLE_ENTITY,
            Self::OutOfStock { .. } | Self::WrongState { .. } => StatusCode::CONFLICT,
            Self::NoSuchOrder { .. } => StatusCode::NOT_FOUND,
            Self::Database(_) | Self::Register(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = ?self, "request failed");
        }
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}
