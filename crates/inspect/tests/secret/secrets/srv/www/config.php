<?php
$CONFIG = array(
  'dbpassword' => 'hunter2',
);
