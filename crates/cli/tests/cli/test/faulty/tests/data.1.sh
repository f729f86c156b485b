echo kept >/srv/kept
echo lost >/root/lost
