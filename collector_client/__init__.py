"""The provider's side: ingest, store, and the analyst's pages. Of the appliance it imports `appliance.wire` only."""
