<?php echo '<p>a</p>';
