"""The record as a page and a picture to look at. Asks the validator in SQL, as any user could."""
