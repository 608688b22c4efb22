"""Journal: the write-ahead log, audit trail and ledger in one. The only code that opens the journal."""
