-- Where a user has a number at Agora: for those who are frozen.
CREATE INDEX agora_uids_by_member ON agora_uids (member);
