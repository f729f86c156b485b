<?php
define('DB_PASSWORD', 'hunter2');
